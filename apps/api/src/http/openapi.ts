import { type INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { type ErrorCode } from '#kernel';
import { describeUnprocessable } from './error.dto.js';
import { addRefusals, refusalExamples } from './operation.decorator.js';

const METHODS = ['get', 'post', 'put', 'delete'] as const;
/** How any request with a body can be refused before anybody looks at what it says. */
const OF_EVERY_BODY: readonly ErrorCode[] = ['malformed_json', 'body_too_large', 'unsupported_media_type'];

/** The owner has published none. */
const LICENSE = { name: 'Proprietary' };

const DESCRIPTION = `Accounts, subscriptions and WireGuard devices of a mobile VPN.

A trailing slash is accepted everywhere; every success is 200.

**Repeated requests.** A network that fails leaves open whether a request was carried out, and proxies repeat GET, PUT and DELETE by
themselves when a kept connection breaks. A POST is repeated with the same \`Idempotency-Key\`: it creates nothing twice. A PUT may be
repeated as it is. A DELETE that is answered with 404 after an attempt without an answer has worked: what was to go is gone.

**503.** \`database_unavailable\`: nothing was done; try again after \`Retry-After\` seconds. \`outcome_unknown\`: it may have been done or
not, and is repeated in the same way; registering again is then refused as \`email_already_registered\`, \`iap_verify\` answers
\`already_verified\`.

**Enumerations** in answers are open: \`x-extensible-enum\` lists the words of this version, and later versions may add others. Treat a
word that you do not know as the least that it may mean; whether access is granted is said by \`status == "active"\` alone.

**Errors** carry a stable \`code\`. \`detail\` is a fixed English text; with \`validation_error\` and the other codes of 422 that name fields it
is a list of them.`;

/** How any request that writes can end when the database cannot say whether it did. */
const OF_EVERY_WRITE: readonly ErrorCode[] = ['outcome_unknown'];

/** The document that clients are generated from. An operation is called what its method is called. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('VPN API')
    .setDescription(DESCRIPTION)
    .setVersion('1.0')
    .addServer('/')
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'The `access_token` of `POST /auth/login`, without the word Bearer before it. It lasts an hour.',
      },
      'bearer',
    )
    .addTag('auth', 'Accounts and subscriptions')
    .addTag('vpn_peers', 'Devices')
    .addTag('servers', 'Where devices can be put')
    .addTag('tariffs', 'What can be had')
    .addTag('payments', 'The ledger')
    .addTag('admin', 'For administrators')
    .addTag('operations', 'For those who run the service')
    .build();
  const document = SwaggerModule.createDocument(app, config, { operationIdFactory: (_controller, method) => method });
  for (const item of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation === undefined) continue;
      operation.security ??= []; // said, not left out: a reader cannot tell an open door from a forgotten lock
      if (operation.requestBody !== undefined) addRefusals(operation.responses, OF_EVERY_BODY);
      if (method !== 'get') addRefusals(operation.responses, OF_EVERY_WRITE);
    }
  }
  const components = {
    ...document.components,
    schemas: describeUnprocessable(document.components?.schemas ?? {}),
    examples: refusalExamples(document),
  };
  return { ...document, info: { ...document.info, license: LICENSE }, components };
}

/** Serves the document at /openapi.json and a page to try it at /docs. */
export function serveDocs(app: INestApplication): void {
  SwaggerModule.setup('docs', app, () => describeApi(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'VPN API',
    swaggerOptions: { persistAuthorization: true },
  });
}
