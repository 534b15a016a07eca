import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way through to a server that can be cut and mended: for tests of what happens when the other side is gone. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>();
  private open = true;

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async to(host: string, port: number): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
    const proxy = new TcpProxy(server, address.port);
    server.on('connection', (inside) => proxy.join(inside, host, port));
    return proxy;
  }

  /** Ends every connection, and takes no new one. */
  cut(): void {
    this.open = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend(): void {
    this.open = true;
  }

  /** Keeps every connection open and carries nothing any more, as a network that loses all packets. */
  swallow(): void {
    for (const socket of this.sockets) {
      socket.unpipe();
      socket.resume();
    }
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private join(inside: Socket, host: string, port: number): void {
    if (!this.open) {
      inside.destroy();
      return;
    }
    const outside = connect(port, host);
    for (const [from, to] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      this.sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }
}
