import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { type FastifyRequest } from 'fastify';
import { type Principal } from '#auth';
import { type DomainError } from '#kernel';
import { chooseLocale, type Locale } from '#platform';

/**
 * A request behind the access guard: `user` is who passport found, undefined for a route that asks for nobody; `bytes` is the body
 * as it arrived, on a route that keeps it (`KeepsBytes`); `countFailure` is there on a route whose limit counts refusals;
 * `allowedMethods` are those that its path answers.
 */
export type ApiRequest = FastifyRequest & {
  user?: Principal;
  bytes?: Buffer;
  countFailure?: FailureCounter;
  allowedMethods?: () => readonly string[];
};

/** Counts that a request was refused; answers what to refuse it with instead where that was once too often, else null. */
export type FailureCounter = () => Promise<DomainError | null>;

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
