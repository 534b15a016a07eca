import { Body, Controller, Get, Header, Post, Put, Query } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiTags } from '@nestjs/swagger';
import { Clock } from '#kernel';
import { Accounts, actorOf, type Principal, Promotion } from '#auth';
import { type Locale } from '#platform';
import { Traffic } from '#peers';
import { Subscriptions } from '#subscriptions';
import { Caller, OptionalCaller } from '../http/access.guard.js';
import { CallerLocale, PromoteSecret, UserAgent } from '../http/request.js';
import { Operation } from '../http/operation.decorator.js';
import {
  AssignedOut,
  LoginIn,
  MeChangeIn,
  PromotedOut,
  PromoteIn,
  PromoteQuery,
  RegisterIn,
  SubscribedOut,
  SubscriptionOut,
  TariffChoiceIn,
  TokenOut,
  UserOut,
  UserQuery,
} from './auth.dto.js';

@ApiTags('auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly accounts: Accounts,
    private readonly promotion: Promotion,
    private readonly subscriptions: Subscriptions,
    private readonly traffic: Traffic,
    private readonly clock: Clock,
  ) {}

  @Post('register')
  @Operation({
    access: 'public',
    summary: 'Open an account',
    answer: UserOut,
    errors: [
      'email_already_registered',
      'password_required',
      'password_too_short',
      'password_too_common',
      'validation_error',
      'overloaded',
    ],
  })
  async register(@Body() body: RegisterIn, @CallerLocale() locale: Locale): Promise<UserOut> {
    const { email, password } = body;
    return UserOut.from(await this.accounts.register({ email, password: password ?? undefined, locale }));
  }

  @Post('login')
  @Operation({
    access: 'public',
    summary: 'Sign a device in',
    answer: TokenOut,
    errors: ['invalid_credentials', 'user_not_active', 'validation_error', 'overloaded'],
  })
  async login(@Body() body: LoginIn, @UserAgent() userAgent: string | undefined): Promise<TokenOut> {
    const { email, password } = body;
    return TokenOut.from(await this.accounts.login({ email, password, userAgent }));
  }

  @Get('me')
  @Operation({ access: 'user', summary: 'Who is calling', answer: UserOut })
  getMe(@Caller() caller: Principal): UserOut {
    return UserOut.from(caller.user);
  }

  @Put('me')
  @Operation({
    access: 'user',
    summary: 'The language one is written to in, and what a store may be told of oneself',
    answer: UserOut,
    errors: ['validation_error'],
  })
  async updateMe(@Caller() caller: Principal, @Body() body: MeChangeIn): Promise<UserOut> {
    return UserOut.from(await this.accounts.prefer(caller.user.id, MeChangeIn.toPreferences(body)));
  }

  @Get('me/subscription')
  @Header('content-type', 'application/json; charset=utf-8')
  @Operation({
    access: 'user',
    summary: "The caller's subscription",
    description: 'The one that grants access now, else the one that ended last; JSON `null` when there never was one.',
    answer: SubscriptionOut,
    nullable: true,
  })
  async getMySubscription(@Caller() caller: Principal): Promise<SubscriptionOut | 'null'> {
    const shown = await this.subscriptions.shown(caller.user.id);
    if (shown === null) return 'null';
    return SubscriptionOut.from(shown, this.clock.now(), await this.traffic.allowance(shown));
  }

  @Post('admin/promote')
  @ApiBody({ type: PromoteIn, required: false })
  @ApiHeader({ name: 'X-Promote-Secret', required: false, description: 'PROMOTE_SECRET', schema: { type: 'string' } })
  @Operation({
    access: 'optional',
    summary: 'Make a user an administrator',
    description:
      'By an administrator; or, while there is none, by whoever knows PROMOTE_SECRET (query, header or body), without a token.',
    answer: PromotedOut,
    errors: ['promotion_refused', 'user_not_found', 'validation_error'],
  })
  async promoteUser(
    @OptionalCaller() by: Principal | null,
    @Query() query: PromoteQuery,
    @Body() body: PromoteIn,
    @PromoteSecret() header: string | undefined,
  ): Promise<PromotedOut> {
    const secret = header ?? query.secret ?? body.secret ?? undefined;
    await this.promotion.promote({ userId: query.user_id, by, secret });
    return { msg: 'user promoted', user_id: query.user_id };
  }

  @Post('assign_tariff')
  @Operation({
    access: 'admin',
    summary: 'Give a user a tariff, from now',
    answer: AssignedOut,
    errors: ['user_not_found', 'tariff_not_found', 'tariff_already_assigned', 'validation_error'],
  })
  async assignTariff(
    @Caller() caller: Principal,
    @Query() query: UserQuery,
    @Body() body: TariffChoiceIn,
  ): Promise<AssignedOut> {
    await this.subscriptions.assign(actorOf(caller), query.user_id, body.tariff_id);
    return { msg: 'tariff assigned', user_id: query.user_id, tariff_id: body.tariff_id };
  }

  @Post('subscribe')
  @Operation({
    access: 'user',
    summary: 'Take a free tariff',
    answer: SubscribedOut,
    errors: [
      'tariff_not_found',
      'payment_required',
      'already_has_active_subscription',
      'free_tariff_already_used',
      'validation_error',
    ],
  })
  async subscribe(@Caller() caller: Principal, @Body() body: TariffChoiceIn): Promise<SubscribedOut> {
    return SubscribedOut.from(await this.subscriptions.takeFree(caller.user.id, body.tariff_id));
  }
}
