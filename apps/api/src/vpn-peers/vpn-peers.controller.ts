import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { type Principal } from '#auth';
import { type ErrorCode } from '#kernel';
import { PeerConfigs, Peers, Traffic } from '#peers';
import { Caller } from '../http/access.guard.js';
import { DELETED, DeletedOut } from '../http/deleted.dto.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, OwnedListQuery, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { TrafficDayOut, TrafficQuery } from '../http/traffic.dto.js';
import { answerQrCode, QR_CODE } from './qr-code.js';
import { MoveIn, MyPeerIn, PeerChangeIn, PeerConfigOut, PeerIn, RotationIn, VpnPeerOut } from './vpn-peer.dto.js';

const CREATION_ERRORS: readonly ErrorCode[] = [
  'no_active_subscription',
  'traffic_exhausted',
  'device_limit_reached',
  'public_key_taken',
  'address_taken',
  'no_server_available',
  'address_pool_exhausted',
  'server_unavailable',
  'server_refused',
  'remote_client_failed',
  'validation_error',
];

const OF_ONE: readonly ErrorCode[] = ['peer_not_found', 'not_allowed', 'validation_error'];

@ApiTags('vpn_peers')
@Controller('vpn_peers')
export class VpnPeersController {
  constructor(
    private readonly peers: Peers,
    private readonly configs: PeerConfigs,
    private readonly traffic: Traffic,
  ) {}

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
    errors: ['no_active_subscription', 'traffic_exhausted', 'no_peer_for_user', 'peer_key_unreadable'],
  })
  async getMyConfig(@Caller() caller: Principal): Promise<PeerConfigOut> {
    return { wg_quick: await this.configs.newest(caller) };
  }

  @Get('traffic')
  @Operation({
    access: 'user',
    summary: "What the caller's devices have moved, by day",
    description: 'Days are UTC, those without traffic left out; the last 30, unless others are asked for. At most 366.',
    answer: [TrafficDayOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listMyTraffic(
    @Caller() caller: Principal,
    @Query() query: TrafficQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TrafficDayOut[]> {
    const filter = { ...TrafficQuery.toDays(query), userId: caller.user.id };
    return answerListing(reply, await this.traffic.days(filter, pageOf(query)), (day) => TrafficDayOut.from(day));
  }

  @Get(':id')
  @Operation({
    access: 'user',
    summary: 'One device',
    answer: VpnPeerOut,
    errors: OF_ONE,
  })
  async getPeer(@Caller() caller: Principal, @PathId() id: number): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.get(caller, id));
  }

  @Put(':id')
  @Operation({
    access: 'user',
    summary: 'Change a device',
    answer: VpnPeerOut,
    errors: [...OF_ONE, 'public_key_taken', 'address_taken'],
  })
  async updatePeer(@Caller() caller: Principal, @PathId() id: number, @Body() body: PeerChangeIn): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.correct(caller, id, PeerChangeIn.toCorrection(body)));
  }

  @Post(':id/rotate')
  @ApiBody({ type: RotationIn, required: false })
  @Operation({
    access: 'user',
    summary: 'Give a device another key pair',
    description:
      'Its address stays, unless its server chooses addresses itself. The private key is in this answer alone.',
    answer: VpnPeerOut,
    creates: true,
    errors: [
      ...OF_ONE,
      'no_active_subscription',
      'traffic_exhausted',
      'public_key_taken',
      'address_pool_exhausted',
      'server_unavailable',
      'server_refused',
      'remote_client_failed',
    ],
  })
  async rotatePeer(@Caller() caller: Principal, @PathId() id: number, @Body() body: RotationIn): Promise<VpnPeerOut> {
    return VpnPeerOut.fromNew(await this.peers.rotate(caller, id, body.wg_public_key ?? undefined));
  }

  @Post(':id/move')
  @Operation({
    access: 'user',
    summary: 'Take a device to another server',
    description: 'To the one named, or to the best of a region; a device that is there already stays where it is.',
    answer: VpnPeerOut,
    errors: [
      ...OF_ONE,
      'no_active_subscription',
      'traffic_exhausted',
      'no_server_available',
      'address_pool_exhausted',
      'public_key_taken',
      'remote_client_failed',
    ],
  })
  async movePeer(@Caller() caller: Principal, @PathId() id: number, @Body() body: MoveIn): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.move(caller, id, MoveIn.toPlacement(body)));
  }

  @Post(':id/activate')
  @Operation({
    access: 'user',
    summary: 'Let a device in',
    description:
      'Where the plan lets in fewer devices than there are (`suspended`, `device_limit`), this one takes the place of the one that was used longest ago.',
    answer: VpnPeerOut,
    errors: [...OF_ONE, 'no_active_subscription', 'traffic_exhausted'],
  })
  async activatePeer(@Caller() caller: Principal, @PathId() id: number): Promise<VpnPeerOut> {
    return VpnPeerOut.from(await this.peers.letIn(caller, id));
  }

  @Get(':id/config')
  @Operation({
    access: 'user',
    summary: 'The config of a device',
    answer: PeerConfigOut,
    errors: [...OF_ONE, 'no_active_subscription', 'traffic_exhausted', 'device_limit_reached', 'peer_key_unreadable'],
  })
  async getPeerConfig(@Caller() caller: Principal, @PathId() id: number): Promise<PeerConfigOut> {
    return { wg_quick: await this.configs.of(caller, id) };
  }

  @Get(':id/qr')
  @Operation({
    access: 'user',
    summary: 'The config of a device, to scan',
    description: 'PNG; SVG where the caller would rather have that (Accept). The private key is in it.',
    answer: QR_CODE,
    errors: [
      ...OF_ONE,
      'no_active_subscription',
      'traffic_exhausted',
      'device_limit_reached',
      'peer_key_unreadable',
      'private_key_not_held',
      'config_too_long_for_qr',
    ],
  })
  async getPeerQr(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | string> {
    return answerQrCode(reply, await this.configs.complete(caller, id));
  }

  @Delete(':id')
  @Operation({
    access: 'user',
    summary: 'Remove a device',
    answer: DeletedOut,
    errors: OF_ONE,
  })
  async deletePeer(@Caller() caller: Principal, @PathId() id: number): Promise<DeletedOut> {
    await this.peers.delete(caller, id);
    return DELETED;
  }
}
