import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { Servers } from '#wireguard';
import { answerListing, ListQuery, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { CatalogueServerOut } from './server.dto.js';

@ApiTags('servers')
@Controller('servers')
export class ServersController {
  constructor(private readonly servers: Servers) {}

  @Get()
  @Operation({
    access: 'public',
    summary: 'The servers that a device can be put on',
    answer: [CatalogueServerOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listServers(
    @Query() query: ListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CatalogueServerOut[]> {
    const listing = await this.servers.catalogue(pageOf(query));
    return answerListing(reply, listing, (server) => CatalogueServerOut.from(server));
  }
}
