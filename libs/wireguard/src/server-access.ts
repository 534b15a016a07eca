/** How a server is spoken to. Kept sealed, as JSON: it holds keys and passwords. */
export type ServerAccess = LocalAccess | SshAccess | EasyAccess;

export const ACCESS_KINDS = ['ssh', 'local', 'wg-easy'] as const satisfies readonly ServerAccess['kind'][];

/** `wg` on the machine that this process runs on. */
export interface LocalAccess {
  readonly kind: 'local';
  readonly interface: string;
}

/** `wg` on a host, over SSH. */
export interface SshAccess {
  readonly kind: 'ssh';
  readonly interface: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The key itself, or the file it is read from when a connection is opened. */
  readonly key: { readonly text: string } | { readonly file: string };
  /** `SHA256:...`; null trusts the first one seen. */
  readonly fingerprint: string | null;
}

/** wg-easy, over HTTP. */
export interface EasyAccess {
  readonly kind: 'wg-easy';
  readonly url: string;
  readonly username: string;
  readonly password: string | null;
  readonly apiKey: string | null;
}

/** Where an address came from: those of the settings are the operator's own and may be private or loopback. */
export interface SealedAccess {
  readonly access: ServerAccess;
  readonly fromSettings: boolean;
}

/** Where it is, without what proves who we are. */
export function placeOf(access: ServerAccess): string {
  switch (access.kind) {
    case 'local':
      return `local ${access.interface}`;
    case 'ssh':
      return `ssh ${access.host}:${access.port} ${access.interface}`;
    case 'wg-easy':
      return `wg-easy ${access.url}`;
  }
}
