import { type DynamicModule, Module } from '@nestjs/common';
import { IapModule } from '#iap';
import { PeersModule } from '#peers';
import { PlatformModule, type PlatformOptions } from '#platform';
import { WireGuardModule } from '#wireguard';

/** The rooms that commands enter. */
@Module({ imports: [IapModule, PeersModule, WireGuardModule] })
export class CliModule {
  static with(platform: PlatformOptions): DynamicModule {
    return { module: CliModule, imports: [PlatformModule.with(platform)] };
  }
}
