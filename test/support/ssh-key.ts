import ssh2 from 'ssh2';

/** A private key as `ssh-keygen` writes it. Some that ssh2 makes (a few in a hundred) it cannot read itself. */
export function newSshKey(): string {
  for (;;) {
    const { private: privateKey } = ssh2.utils.generateKeyPairSync('ed25519');
    if (!(ssh2.utils.parseKey(privateKey) instanceof Error)) return privateKey;
  }
}
