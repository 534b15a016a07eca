import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { generateKeyPair, type LivePeer, type PeerSpec, type WireGuardProvider } from '#wireguard';

/** A provider on a server that is empty, and what only a test may do to that server. */
export interface ProviderUnderTest {
  readonly provider: WireGuardProvider;
  /** Adds a peer behind the provider's back, as a person on the host would. */
  addStranger(publicKey: string, address: string): Promise<void>;
  close(): Promise<void>;
}

/** What every provider promises. One suite; each provider's spec file calls it with a real or faithful server. */
export function itKeepsTheProviderContract(open: () => Promise<ProviderUnderTest>): void {
  let tested: ProviderUnderTest;
  let provider: WireGuardProvider;
  beforeEach(async () => {
    tested = await open();
    provider = tested.provider;
  });
  afterEach(() => tested.close());

  const specOf = (peerId: number): PeerSpec =>
    provider.chooses === 'everything'
      ? { peerId, publicKey: null, addresses: null, presharedKey: null, remoteId: null }
      : {
          peerId,
          publicKey: generateKeyPair().publicKey,
          addresses: [`10.8.0.${peerId + 1}/32`],
          presharedKey: null,
          remoteId: null,
        };
  const keysOf = (peers: readonly LivePeer[]): string[] => peers.map(({ publicKey }) => publicKey).sort();

  it('reports nothing on an empty server', async () => {
    expect(await provider.list()).toEqual([]);
  });

  it('reports a peer that it was given, enabled and with its addresses', async () => {
    const [material] = await provider.put([specOf(1)]);
    const [live] = await provider.list();
    expect(live).toMatchObject({
      publicKey: material?.publicKey,
      isEnabled: true,
      isOurs: true,
      lastHandshakeAt: null,
    });
    expect(live?.addresses).toEqual(material?.addresses);
    expect(live).toMatchObject({ receivedBytes: 0, sentBytes: 0 });
  });

  it('takes the same peer twice as once', async () => {
    const spec = specOf(1);
    const [first] = await provider.put([spec]);
    const again = { ...spec, publicKey: first?.publicKey ?? null, addresses: first?.addresses ?? null };
    await provider.put([{ ...again, remoteId: first?.remoteId ?? null }]);
    expect(keysOf(await provider.list())).toEqual([first?.publicKey]);
  });

  it('answers several peers in the order they were given in', async () => {
    const materials = await provider.put([specOf(1), specOf(2), specOf(3)]);
    expect(materials.map(({ peerId }) => peerId)).toEqual([1, 2, 3]);
    expect(keysOf(await provider.list())).toEqual(materials.map(({ publicKey }) => publicKey).sort());
  });

  it('lets no packet of a suspended peer pass, and takes it back with the same key', async () => {
    const spec = specOf(1);
    const [material] = await provider.put([spec]);
    const ref = { publicKey: material?.publicKey ?? '', remoteId: material?.remoteId ?? null };
    await provider.suspend([ref]);
    expect((await provider.list()).filter(({ isEnabled }) => isEnabled)).toEqual([]);
    await provider.suspend([ref]);
    const addresses = material?.addresses ?? null;
    await provider.put([{ ...spec, ...ref, addresses }]);
    expect(await provider.list()).toMatchObject([{ publicKey: ref.publicKey, addresses, isEnabled: true }]);
  });

  it('removes a peer, and takes it as done when it is gone already', async () => {
    const [kept, gone] = await provider.put([specOf(1), specOf(2)]);
    const ref = { publicKey: gone?.publicKey ?? '', remoteId: gone?.remoteId ?? null };
    await provider.remove([ref]);
    await provider.remove([ref]);
    expect(keysOf(await provider.list())).toEqual([kept?.publicKey]);
  });

  it('shows a stranger, and leaves it alone', async () => {
    const stranger = generateKeyPair().publicKey;
    await tested.addStranger(stranger, '10.8.0.200');
    const [material] = await provider.put([specOf(1)]);
    await provider.remove([{ publicKey: material?.publicKey ?? '', remoteId: material?.remoteId ?? null }]);
    // Some servers give every peer an IPv6 address as well.
    const addresses: unknown = expect.arrayContaining(['10.8.0.200/32']);
    expect(await provider.list()).toMatchObject([{ publicKey: stranger, addresses }]);
  });
}
