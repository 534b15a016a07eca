import { type TrafficDay } from '#peers';
import { GivenQueryDay, GivenQueryId } from './given.decorator.js';
import { ListQuery } from './listing.js';
import { ShownBytes, ShownDay } from './shown.decorator.js';

/** `?from=&to=&skip=&limit=` of what is counted by day. */
export class TrafficQuery extends ListQuery {
  @GivenQueryDay({ optional: true, description: 'The first day (UTC)' })
  from?: string;

  @GivenQueryDay({ optional: true, description: 'The last day (UTC); today by default' })
  to?: string;

  static toDays({ from, to }: TrafficQuery): { readonly from?: string; readonly to?: string } {
    return { ...(from == null ? {} : { from }), ...(to == null ? {} : { to }) };
  }
}

export class AllTrafficQuery extends TrafficQuery {
  @GivenQueryId({ optional: true, description: "One user's" })
  user_id?: number;

  @GivenQueryId({ optional: true, description: 'On one server, also one that is gone', example: 1 })
  server_id?: number;
}

export class TrafficDayOut {
  @ShownDay({ description: 'UTC' })
  day: string;

  @ShownBytes({ description: 'Bytes from devices', example: 1_048_576 })
  rx_bytes: number;

  @ShownBytes({ description: 'Bytes to devices', example: 52_428_800 })
  tx_bytes: number;

  static from({ day, receivedBytes, sentBytes }: TrafficDay): TrafficDayOut {
    return { day, rx_bytes: receivedBytes, tx_bytes: sentBytes };
  }
}
