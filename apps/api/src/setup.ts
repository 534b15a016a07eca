import { type DynamicModule, type NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { EncryptionKey, MetricsServer, NestLog, type PlatformOptions } from '#platform';
import { FirstServer } from '#wireguard';
import { AppModule } from './app.module.js';
import { allowOrigins } from './http/cors.js';
import { createHttpAdapter } from './http/http-server.js';
import { serveMetrics } from './http/metrics.js';
import { serveDocs } from './http/openapi.js';
import { passAnswersThrough, Shutdown } from './http/shutdown.js';

/** Makes an application of a module. A test makes it with fakes in the place of what reaches out. */
export type MakeApplication = (
  module: DynamicModule,
  adapter: FastifyAdapter,
  options: NestApplicationOptions,
) => Promise<NestFastifyApplication>;

/** The application as it is served and as it is tested, not listening yet. */
export async function createApp(
  options: PlatformOptions,
  make: MakeApplication = (module, adapter, nest) =>
    NestFactory.create<NestFastifyApplication>(module, adapter, { ...nest, abortOnError: false }),
): Promise<NestFastifyApplication> {
  const { settings, log } = options;
  const adapter = createHttpAdapter(settings, log);
  const app = await make(AppModule.with(options), adapter, { bodyParser: false, logger: new NestLog(log) });
  passAnswersThrough(app, app.get(Shutdown));
  allowOrigins(app, settings);
  if (settings.http.docs) serveDocs(app);
  if (settings.metrics.token !== undefined) serveMetrics(app, settings.metrics.token);
  try {
    // Before anything is read that is sealed, or sealed with a key that nobody else has.
    await app.get(EncryptionKey).verifyAndKeep();
    // Here, not in its room: only what serves writes the server of the settings; a command or a worker may have others.
    await app.get(FirstServer).update();
    await app.init();
    await app.get(MetricsServer).listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}
