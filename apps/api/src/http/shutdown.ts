import { Injectable } from '@nestjs/common';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Server as HttpServer } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';

/** How long nobody may have knocked before the door is closed, and how long such a moment is waited for, in milliseconds. */
const QUIET_MS = 20;
const WAIT_FOR_QUIET_MS = 300;
/** How long a kept connection may still bring a request after the door is closed, in milliseconds. */
const DRAIN_MS = 800;
/** How long a request under way may take after that, in milliseconds. */
const FINISH_MS = 3000;

/** Whether the service is on its way out, and the way out. */
@Injectable()
export class Shutdown {
  private stage: 'open' | 'leaving' | 'closing' | 'closed' = 'open';
  private readonly held: (() => void)[] = [];

  /** From the signal on: the service is not ready any more. */
  get hasBegun(): boolean {
    return this.stage !== 'open';
  }

  /**
   * Takes the service down without losing a request: it goes on as before for `delaySeconds` (a balancer sees that it is not
   * ready), then takes no new connections, answers what the old ones still bring, finishes what is under way, and closes the rooms.
   */
  async run(app: NestFastifyApplication, delaySeconds: number): Promise<void> {
    if (this.hasBegun) return;
    this.stage = 'leaving';
    await delay(delaySeconds * 1000);
    const server: HttpServer = app.getHttpServer();
    const closed = new Promise((resolve) => server.once('close', resolve));
    await this.closeDoor(server);
    await Promise.race([closed, delay(DRAIN_MS)]);
    server.closeIdleConnections();
    await Promise.race([closed, delay(FINISH_MS)]);
    await app.close();
  }

  /** Lets an answer go out: with `last`, as the last one of its connection, because keep-alive would hold the process up. */
  release(send: (last: boolean) => void): void {
    if (this.stage === 'closing') this.held.push(() => send(true));
    else send(this.stage === 'closed');
  }

  /**
   * Takes no new connections. The kernel resets every connection that it has accepted and we have not, so this is done in a quiet
   * moment; answers are held until then, because whoever gets one may knock again at once.
   */
  private async closeDoor(server: HttpServer): Promise<void> {
    this.stage = 'closing';
    let lastKnock = performance.now();
    server.on('connection', () => (lastKnock = performance.now()));
    const deadline = lastKnock + WAIT_FOR_QUIET_MS;
    while (performance.now() - lastKnock < QUIET_MS && performance.now() < deadline) await delay(1);
    await turn(); // right after a round of accepting
    // Of net, not of http: the latter would also cut kept connections on which a request is just arriving.
    NetServer.prototype.close.call(server);
    this.stage = 'closed';
    for (const send of this.held.splice(0)) send();
  }
}

/** After so many requests a connection ends, so that clients spread over new instances. */
const REQUESTS_PER_CONNECTION = 1000;

/**
 * Has every answer pass the shutdown on its way out, and ends a connection with the last answer it may carry. (Node's own
 * `maxRequestsPerSocket` leaves it open and answers 503 to whoever goes on using it: measured.)
 */
export function passAnswersThrough(app: NestFastifyApplication, shutdown: Shutdown): void {
  const served = new WeakMap<Socket, number>();
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onSend', (request, reply, payload, done) => {
      const count = (served.get(request.raw.socket) ?? 0) + 1;
      served.set(request.raw.socket, count);
      shutdown.release((last) => {
        if (last || count >= REQUESTS_PER_CONNECTION) void reply.header('connection', 'close');
        done(null, payload);
      });
    });
}
