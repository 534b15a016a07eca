import { type DynamicModule, Module } from '@nestjs/common';
import { AuthModule } from '#auth';
import { IapModule } from '#iap';
import { JobsModule } from '#jobs';
import { PaymentsModule } from '#payments';
import { PeersModule } from '#peers';
import { PlatformModule, type PlatformOptions } from '#platform';
import { SubscriptionsModule } from '#subscriptions';
import { TariffsModule } from '#tariffs';
import { WireGuardModule } from '#wireguard';
import { AdminAuditController } from './admin/admin-audit.controller.js';
import { AdminPaymentsController } from './admin/admin-payments.controller.js';
import { AdminUsersController } from './admin/admin-users.controller.js';
import { AdminServersController } from './admin/admin-servers.controller.js';
import { AdminIapController } from './admin/admin-iap.controller.js';
import { AdminTrafficController } from './admin/admin-traffic.controller.js';
import { AuthController } from './auth/auth.controller.js';
import { HealthController } from './health/health.controller.js';
import { HttpModule } from './http/http.module.js';
import { PaymentWebhooksController } from './payments/payment-webhooks.controller.js';
import { IapController } from './payments/iap.controller.js';
import { PaymentsController } from './payments/payments.controller.js';
import { ServersController } from './servers/servers.controller.js';
import { TariffsController } from './tariffs/tariffs.controller.js';
import { VpnPeersController } from './vpn-peers/vpn-peers.controller.js';

/** The HTTP process: every room, and a door to each; the jobs too, unless another process runs them (ROLES). */
@Module({
  imports: [
    HttpModule,
    AuthModule,
    TariffsModule,
    SubscriptionsModule,
    PaymentsModule,
    IapModule,
    WireGuardModule,
    PeersModule,
  ],
  controllers: [
    HealthController,
    AuthController,
    VpnPeersController,
    TariffsController,
    IapController,
    PaymentWebhooksController,
    PaymentsController,
    ServersController,
    AdminPaymentsController,
    AdminUsersController,
    AdminAuditController,
    AdminServersController,
    AdminIapController,
    AdminTrafficController,
  ],
})
export class AppModule {
  static with(platform: PlatformOptions): DynamicModule {
    const jobs = platform.settings.roles.includes('jobs') ? [JobsModule] : [];
    return { module: AppModule, imports: [PlatformModule.with(platform), ...jobs] };
  }
}
