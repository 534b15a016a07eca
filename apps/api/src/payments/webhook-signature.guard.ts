import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { type FastifyRequest } from 'fastify';
import { WebhookSignatures } from '#payments';
import { type ApiRequest } from '../http/request.js';

/** Lets in who signed the body with the secret of the provider that the path names; nothing of the body is believed before. */
@Injectable()
export class WebhookSignatureGuard implements CanActivate {
  constructor(private readonly signatures: WebhookSignatures) {}

  canActivate(context: ExecutionContext): boolean {
    const { params, headers, bytes } = context
      .switchToHttp()
      .getRequest<ApiRequest & FastifyRequest<{ Params: { provider: string } }>>();
    const signature = headers['x-signature'];
    this.signatures.verify(
      params.provider,
      typeof signature === 'string' ? signature : undefined,
      bytes ?? Buffer.alloc(0),
    );
    return true;
  }
}
