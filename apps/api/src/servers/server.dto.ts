import { type ServerOverview } from '#wireguard';
import { ShownBoolean, ShownFraction, ShownId, ShownText } from '../http/shown.decorator.js';

export class CatalogueServerOut {
  @ShownId({ example: 1 })
  id: number;

  @ShownText({ example: 'Frankfurt 1' })
  name: string;

  @ShownText({ example: 'eu-central' })
  region: string;

  @ShownText({ nullable: true, example: 'DE', description: 'ISO 3166-1 alpha-2' })
  country: string | null;

  @ShownFraction({ description: '0 is empty, 1 is full' })
  load: number;

  @ShownBoolean({ description: 'False: it does not answer now, and gets no new devices' })
  online: boolean;

  static from({ id, name, region, country, load, isOnline }: ServerOverview): CatalogueServerOut {
    return { id, name, region, country, load, online: isOnline };
  }
}
