import { type DynamicModule, Module } from '@nestjs/common';
import { JobsModule } from '#jobs';
import { PlatformModule, type PlatformOptions } from '#platform';

/** The process without HTTP: the jobs, and the rooms they need. */
@Module({ imports: [JobsModule] })
export class WorkerModule {
  static with(platform: PlatformOptions): DynamicModule {
    return { module: WorkerModule, imports: [PlatformModule.with(platform)] };
  }
}
