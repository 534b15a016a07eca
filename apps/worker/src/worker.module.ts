import { type DynamicModule, Module, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { JobsModule } from '#jobs';
import { EncryptionKey, MetricsServer, PlatformModule, type PlatformOptions } from '#platform';

/** The process without HTTP: the jobs, and the rooms they need. */
@Module({ imports: [JobsModule] })
export class WorkerModule implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    private readonly key: EncryptionKey,
    private readonly metrics: MetricsServer,
  ) {}

  static with(platform: PlatformOptions): DynamicModule {
    return { module: WorkerModule, imports: [PlatformModule.with(platform)] };
  }

  /** Jobs start after this, on the application's bootstrap. */
  async onModuleInit(): Promise<void> {
    await this.key.verifyAndKeep();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.metrics.listen();
  }
}
