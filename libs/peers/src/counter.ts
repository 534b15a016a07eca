/**
 * What a server's own counters said of a key when they were last read, and when that was. It belongs to the key on its server: it
 * goes with the key when its peer is deleted, moved or rotated, and is there when the key comes back before it has left.
 */
export interface Counter {
  readonly receivedSeen: number;
  readonly sentSeen: number;
  /** The number at which the last reading ended: only one that began after it counts. */
  readonly readSequence: number;
}
