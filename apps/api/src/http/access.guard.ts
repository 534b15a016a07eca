import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type Principal } from '#auth';
import { DomainError } from '#kernel';
import { JwtStrategy } from './jwt.strategy.js';
import { type ApiRequest } from './request.js';

/**
 * Who may call a route: anybody (`public`), anybody, though a token is looked at when there is one (`optional`), an active user
 * (`user`), an active administrator (`admin`).
 */
export type AccessLevel = 'public' | 'optional' | 'user' | 'admin';

const ACCESS_KEY = 'vpn:access';

export function Access(level: AccessLevel): MethodDecorator {
  return SetMetadata(ACCESS_KEY, level);
}

/** Stands before every route. A route that does not say who may call it is called by nobody. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly strategy: JwtStrategy,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const level = this.reflector.get<AccessLevel | undefined>(ACCESS_KEY, context.getHandler());
    const request = context.switchToHttp().getRequest<ApiRequest>();
    if (level === undefined)
      throw new Error(`The route ${request.routeOptions.url ?? ''} does not say who may call it`);
    const anonymous = request.headers.authorization === undefined;
    if (level === 'public' || (level === 'optional' && anonymous)) return true;
    if (anonymous) throw new DomainError('not_authenticated');
    const principal = await this.strategy.identify(request);
    if (principal.user.status !== 'active') throw new DomainError('user_not_active');
    if (level === 'admin' && !principal.user.isAdmin) throw new DomainError('admin_required');
    request.user = principal;
    return true;
  }
}

/** Who calls. Only for routes that ask for a user. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { user } = context.switchToHttp().getRequest<ApiRequest>();
  if (user === undefined) throw new DomainError('not_authenticated');
  return user;
});

/** Who calls, or null: for routes with `optional` access. */
export const OptionalCaller = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal | null =>
    context.switchToHttp().getRequest<ApiRequest>().user ?? null,
);
