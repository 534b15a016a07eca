import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { actorOf, type Principal } from '#auth';
import { readServerChange, readServerDraft, ServerHealthRepository, Servers } from '#wireguard';
import { Caller } from '../http/access.guard.js';
import { DELETED, DeletedOut } from '../http/deleted.dto.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, ListQuery, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { ServerChangeIn, ServerHealthOut, ServerIn, ServerOut } from './admin-servers.dto.js';

@ApiTags('admin')
@Controller('admin/servers')
export class AdminServersController {
  constructor(
    private readonly servers: Servers,
    private readonly health: ServerHealthRepository,
  ) {}

  @Post()
  @Operation({
    access: 'admin',
    summary: 'Add a WireGuard server',
    description: 'How it is reached is kept sealed and never shown. Peers there that we do not know are left alone.',
    answer: ServerOut,
    creates: true,
    errors: ['server_already_exists', 'validation_error'],
  })
  async createServer(@Caller() caller: Principal, @Body() body: ServerIn): Promise<ServerOut> {
    return ServerOut.from(await this.servers.add(actorOf(caller), readServerDraft(body)));
  }

  @Get()
  @Operation({
    access: 'admin',
    summary: 'All servers, with what is on them',
    answer: [ServerOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listAllServers(
    @Query() query: ListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ServerOut[]> {
    return answerListing(reply, await this.servers.overviews(pageOf(query)), (server) => ServerOut.from(server));
  }

  @Get(':id')
  @Operation({
    access: 'admin',
    summary: 'One server',
    answer: ServerOut,
    errors: ['server_not_found', 'validation_error'],
  })
  async getServer(@PathId() id: number): Promise<ServerOut> {
    return ServerOut.from(await this.servers.overview(id));
  }

  @Put(':id')
  @Operation({
    access: 'admin',
    summary: 'Change a server',
    description:
      'What is left out, null or an empty list, stays; `clear` takes a country, subnet6 (if no peer has an IPv6 address) or capacity away. A server with peers keeps its subnets and its kind of provider.',
    answer: ServerOut,
    errors: ['server_not_found', 'server_already_exists', 'server_in_use', 'server_from_settings', 'validation_error'],
  })
  async updateServer(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Body() body: ServerChangeIn,
  ): Promise<ServerOut> {
    return ServerOut.from(await this.servers.change(actorOf(caller), id, readServerChange(body)));
  }

  @Delete(':id')
  @Operation({
    access: 'admin',
    summary: 'Delete a server that nothing is left on',
    answer: DeletedOut,
    errors: ['server_not_found', 'server_in_use', 'server_from_settings', 'validation_error'],
  })
  async deleteServer(@Caller() caller: Principal, @PathId() id: number): Promise<DeletedOut> {
    await this.servers.remove(actorOf(caller), id);
    return DELETED;
  }

  @Post(':id/drain')
  @Operation({
    access: 'admin',
    summary: 'Place no new peers on a server',
    description: 'Those that are there stay, and are served.',
    answer: ServerOut,
    errors: ['server_not_found', 'validation_error'],
  })
  async drainServer(@Caller() caller: Principal, @PathId() id: number): Promise<ServerOut> {
    return ServerOut.from(await this.servers.drain(actorOf(caller), id));
  }

  @Get(':id/health')
  @Operation({
    access: 'admin',
    summary: 'What the last sweep of a server found',
    answer: ServerHealthOut,
    errors: ['server_not_found', 'validation_error'],
  })
  async getServerHealth(@PathId() id: number): Promise<ServerHealthOut> {
    return ServerHealthOut.from(await this.servers.overview(id), await this.health.find(id));
  }
}
