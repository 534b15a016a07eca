/** What a host's system says of the interface that `wg` is asked about. `wg` itself has one complaint for all that is amiss. */
export interface HostLink {
  /** `unknown`: the gate of the host is an older one, which does not let it be looked at. */
  readonly kind: 'unknown' | 'missing' | 'other' | 'kernel' | 'userspace';
  readonly isUp: boolean;
  /** Whether `wg` is run as root there. */
  readonly isRoot: boolean;
}

/** IFF_UP (netdevice(7)). */
const UP = 1;

/** Reads `ls` and `cat …/uevent …/flags` of `/sys/class/net/<interface>`. */
export function linkOf(files: string, content: string, isRoot: boolean): HostLink {
  const flags = Number(/^0x[0-9a-f]+$/m.exec(content)?.[0] ?? 0);
  const isKernel = /^DEVTYPE=wireguard$/m.test(content);
  const isTunnel = files.split(/\s+/).includes('tun_flags');
  return { kind: isKernel ? 'kernel' : isTunnel ? 'userspace' : 'other', isUp: (flags & UP) !== 0, isRoot };
}

/** What is wrong with an interface, for an operator; undefined when nothing is. `answers`: whether `wg` could show it. */
export function faultOf({ kind, isUp, isRoot }: HostLink, name: string, answers: boolean): string | undefined {
  switch (kind) {
    case 'unknown':
      return undefined;
    case 'missing':
      // What wg shows is there: then it is /sys that shows another network namespace.
      if (answers) return undefined;
      return `there is no interface ${name} on the host: systemctl start wg-quick@${name}`;
    case 'other':
      return `${name} is there, but is no WireGuard interface`;
    case 'kernel':
    case 'userspace':
      if (answers) return isUp ? undefined : `${name} is down, and carries nothing: ip link set ${name} up`;
      if (!isRoot) return `${name} is there, but wg is not run as root: it needs root, or sudo`;
      return kind === 'userspace'
        ? `${name} is a tunnel of user space that no wireguard-go serves`
        : `${name} is a WireGuard interface, but wg cannot show it`;
  }
}
