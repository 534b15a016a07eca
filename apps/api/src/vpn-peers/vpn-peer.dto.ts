import { invalidField } from '#kernel';
import {
  isWanted,
  type NewPeer,
  type Peer,
  PEER_STATUSES,
  type PeerCorrection,
  type PeerDraft,
  SUSPENDED_REASONS,
  whySuspended,
} from '#peers';
import { type Placement } from '#wireguard';
import { GivenAllowedIps, GivenId, GivenPeerAddress, GivenPublicKey, GivenText } from '../http/given.decorator.js';
import { ShownBoolean, ShownChoice, ShownId, ShownInstant, ShownBytes, ShownText } from '../http/shown.decorator.js';

const DEVICE_NAME_LENGTH = 64;
const REGION_LENGTH = 32;

export class MyPeerIn {
  @GivenText({ max: DEVICE_NAME_LENGTH, optional: true, example: "Ann's phone" })
  device_name?: string | null;

  @GivenPublicKey({
    optional: true,
    description: 'The public half of a pair that the device made; left out, we make one',
  })
  wg_public_key?: string | null;

  @GivenPeerAddress({ optional: true, description: 'Heeded from an administrator only' })
  wg_ip?: string | null;

  @GivenAllowedIps({ optional: true, description: 'What the device sends through the tunnel; everything by default' })
  allowed_ips?: string | null;

  @GivenId({ optional: true, description: 'A server of the catalogue; left out, we choose', example: 1 })
  server_id?: number | null;

  @GivenText({ max: REGION_LENGTH, optional: true, description: 'A region of the catalogue', example: 'eu-central' })
  region?: string | null;

  static toDraft(body: MyPeerIn): PeerDraft {
    return {
      deviceName: body.device_name ?? null,
      publicKey: body.wg_public_key ?? undefined,
      address: body.wg_ip ?? undefined,
      allowedIps: body.allowed_ips ?? undefined,
      serverId: body.server_id ?? undefined,
      region: body.region ?? undefined,
    };
  }
}

export class PeerIn extends MyPeerIn {
  @GivenId({ description: 'Whose device it is' })
  user_id: number;
}

/** What is left out, or null, stays as it is. */
export class PeerChangeIn {
  @GivenText({ max: DEVICE_NAME_LENGTH, optional: true, example: "Ann's tablet" })
  device_name?: string | null;

  @GivenAllowedIps({ optional: true })
  allowed_ips?: string | null;

  @GivenPublicKey({ optional: true })
  wg_public_key?: string | null;

  @GivenPeerAddress({ optional: true, description: 'Heeded from an administrator only' })
  wg_ip?: string | null;

  static toCorrection(body: PeerChangeIn): PeerCorrection {
    return {
      deviceName: body.device_name ?? undefined,
      allowedIps: body.allowed_ips ?? undefined,
      publicKey: body.wg_public_key ?? undefined,
      address: body.wg_ip ?? undefined,
    };
  }
}

export class RotationIn {
  @GivenPublicKey({
    optional: true,
    description: 'The public half of a pair that the device made; left out, we make one',
  })
  wg_public_key?: string | null;
}

/** One of the two is needed. */
export class MoveIn {
  @GivenId({ optional: true, description: 'A server of the catalogue', example: 1 })
  server_id?: number | null;

  @GivenText({ max: REGION_LENGTH, optional: true, description: 'Or the best of a region', example: 'default' })
  region?: string | null;

  /** @throws DomainError validation_error */
  static toPlacement({ server_id, region }: MoveIn): Placement {
    if (server_id == null && region == null) {
      throw invalidField(['body', 'server_id'], 'server_id or region is required', 'value_error.missing');
    }
    return { serverId: server_id ?? undefined, region: region ?? undefined };
  }
}

export class VpnPeerOut {
  @ShownId({ example: 7 })
  id: number;

  @ShownId()
  user_id: number;

  @ShownId({ example: 1 })
  server_id: number;

  @ShownText({ nullable: true, example: "Ann's phone" })
  device_name: string | null;

  @ShownText({ example: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=' })
  wg_public_key: string;

  @ShownText({ nullable: true, description: 'Only in the answer that made the key: this one time', example: null })
  wg_private_key: string | null;

  @ShownText({ example: '10.8.0.7/32' })
  wg_ip: string;

  @ShownText({ nullable: true, example: null })
  wg_ip6: string | null;

  @ShownText({ example: '0.0.0.0/0, ::/0' })
  allowed_ips: string;

  @ShownBoolean({ description: 'Whether it is wanted on its server' })
  active: boolean;

  @ShownChoice('PeerStatus', PEER_STATUSES, { example: 'active' })
  status: string;

  @ShownText({
    nullable: true,
    description: `Why it is suspended: ${SUSPENDED_REASONS.join(' or ')}; null when it is not`,
    example: null,
  })
  suspended_reason: string | null;

  @ShownInstant({ nullable: true, example: null })
  last_handshake_at: string | null;

  @ShownBytes({ description: 'Bytes from the device', example: 0 })
  rx_bytes: number;

  @ShownBytes({ description: 'Bytes to the device', example: 0 })
  tx_bytes: number;

  @ShownInstant()
  created_at: string;

  static from(peer: Peer): VpnPeerOut {
    return VpnPeerOut.fromNew({ id: peer.id, peer, privateKey: null });
  }

  /** With the private key that was just made, for this one time. */
  static fromNew({ peer, privateKey }: NewPeer): VpnPeerOut {
    return {
      id: peer.id,
      user_id: peer.userId,
      server_id: peer.serverId,
      device_name: peer.deviceName,
      wg_public_key: peer.publicKey,
      wg_private_key: privateKey,
      wg_ip: `${peer.address}/32`,
      wg_ip6: peer.address6 === null ? null : `${peer.address6}/128`,
      allowed_ips: peer.allowedIps,
      active: isWanted(peer),
      status: peer.status,
      suspended_reason: whySuspended(peer),
      last_handshake_at: peer.lastHandshakeAt?.toISOString() ?? null,
      rx_bytes: peer.receivedBytes,
      tx_bytes: peer.sentBytes,
      created_at: peer.createdAt.toISOString(),
    };
  }
}

export class PeerConfigOut {
  @ShownText({
    description: 'For wg-quick and every WireGuard app',
    example: '[Interface]\nPrivateKey = ...\nAddress = 10.8.0.7/32\n...',
  })
  wg_quick: string;
}
