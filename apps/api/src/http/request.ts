import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { type FastifyRequest } from 'fastify';
import { type Principal } from '#auth';
import { chooseLocale, type Locale } from '#platform';

/**
 * A request behind the access guard: `user` is who passport found, undefined for a route that asks for nobody; `bytes` is the body
 * as it arrived, on a route that keeps it (`KeepsBytes`).
 */
export type ApiRequest = FastifyRequest & { user?: Principal; bytes?: Buffer };

/** A header, once; undefined when it was not sent. */
function headerOf(context: ExecutionContext, name: string): string | undefined {
  const value = context.switchToHttp().getRequest<ApiRequest>().headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The language to answer in. */
export const CallerLocale = createParamDecorator((_: unknown, context: ExecutionContext): Locale =>
  chooseLocale(headerOf(context, 'accept-language')),
);

/** What the caller's software says it is. */
export const UserAgent = createParamDecorator((_: unknown, context: ExecutionContext) =>
  headerOf(context, 'user-agent'),
);

/** PROMOTE_SECRET, for those who keep it out of addresses. */
export const PromoteSecret = createParamDecorator((_: unknown, context: ExecutionContext) =>
  headerOf(context, 'x-promote-secret'),
);
