import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { type Principal } from '#auth';
import { type ErrorCode } from '#kernel';
import { Peers } from '#peers';
import { Caller } from '../http/access.guard.js';
import { DELETED, DeletedOut } from '../http/deleted.dto.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, OwnedListQuery, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { MyPeerIn, PeerChangeIn, PeerConfigOut, PeerIn, VpnPeerOut } from './vpn-peer.dto.js';

const CREATION_ERRORS: readonly ErrorCode[] = [
  'no_active_subscription',
  'device_limit_reached',
  'public_key_taken',
  'address_taken',
  'no_server_available',
  'address_pool_exhausted',
  'server_unavailable',
  'remote_client_failed',
  'validation_error',
];

@ApiTags('vpn_peers')
@Controller('vpn_peers')
export class VpnPeersController {
  constructor(private readonly peers: Peers) {}

  @Post('self')
  @Operation({
    access: 'user',
    summary: 'Add a device of the caller',
    answer: VpnPeerOut,
    creates: true,
    errors: CREATION_ERRORS,
  })
  async createMyPeer(@Caller() caller: Principal, @Body() body: MyPeerIn): Promise<VpnPeerOut> {
    return VpnPeerOut.fromNew(await this.peers.create(caller, caller.user.id, MyPeerIn.toDraft(body)));
  }

  @Post()
  @Operation({
    access: 'user',
    summary: "Add a user's device",
    description: 'An administrator for anybody, a user for himself.',
    answer: VpnPeerOut,
    creates: true,
    errors: ['not_allowed', 'user_not_found', ...CREATION_ERRORS],
  })
  async createPeer(@Caller() caller: Principal, @Body() body: PeerIn): Promise<VpnPeerOut> {
    return VpnPeerOut.fromNew(await this.peers.create(caller, body.user_id, MyPeerIn.toDraft(body)));
  }

  @Get()
  @Operation({
    access: 'user',
    summary: "One's own devices; an administrator sees everybody's",
    answer: [VpnPeerOut],
    paged: true,
    errors: ['not_allowed', 'validation_error'],
  })
  async listPeers(
    @Caller() caller: Principal,
    @Query() query: OwnedListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<VpnPeerOut[]> {
    const listing = await this.peers.list(caller, query.user_id ?? undefined, pageOf(query));
    return answerListing(reply, listing, (peer) => VpnPeerOut.from(peer));
  }

  @Get('self/config')
  @Operation({
    access: 'user',
    summary: "The config of the caller's newest device",
    answer: PeerConfigOut,
    errors: ['no_active_subscription', 'no_peer_for_user'],
  })
  async getMyConfig(@Caller() caller: Principal): Promise<PeerConfigOut> {
    return { wg_quick: await this.peers.newestConfig(caller) };
  }

  @Get(':id')
  @Operation({
    access: 'user',
    summary: 'One device',
    answer: VpnPeerOut,
    errors: ['peer_not_found', 'not_allowed', 'validation_error'],
  })
  async getPeer(@Caller() caller: Principal, @PathId() id: number): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.get(caller, id));
  }

  @Put(':id')
  @Operation({
    access: 'user',
    summary: 'Change a device',
    answer: VpnPeerOut,
    errors: ['peer_not_found', 'not_allowed', 'public_key_taken', 'address_taken', 'validation_error'],
  })
  async updatePeer(@Caller() caller: Principal, @PathId() id: number, @Body() body: PeerChangeIn): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.correct(caller, id, PeerChangeIn.toCorrection(body)));
  }

  @Delete(':id')
  @Operation({
    access: 'user',
    summary: 'Remove a device',
    answer: DeletedOut,
    errors: ['peer_not_found', 'not_allowed', 'validation_error'],
  })
  async deletePeer(@Caller() caller: Principal, @PathId() id: number): Promise<DeletedOut> {
    await this.peers.delete(caller, id);
    return DELETED;
  }
}
