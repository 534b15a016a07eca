import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { actorOf, type Principal } from '#auth';
import { Tariffs } from '#tariffs';
import { Caller } from '../http/access.guard.js';
import { PathId } from '../http/given.decorator.js';
import { answerListing, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import {
  StoreProductsIn,
  TariffChangeIn,
  TariffDeletedOut,
  TariffIn,
  TariffListQuery,
  TariffOut,
} from './tariff.dto.js';

const DEFAULT_LIMIT = 10;

@ApiTags('tariffs')
@Controller('tariffs')
export class TariffsController {
  constructor(private readonly tariffs: Tariffs) {}

  @Post()
  @Operation({
    access: 'admin',
    summary: 'Add a tariff',
    answer: TariffOut,
    creates: true,
    errors: ['tariff_already_exists', 'store_product_taken', 'validation_error'],
  })
  async createTariff(@Caller() caller: Principal, @Body() body: TariffIn): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.create(actorOf(caller), TariffIn.toTariff(body)));
  }

  @Get()
  @Operation({
    access: 'public',
    summary: 'The tariffs that can be had',
    answer: [TariffOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listTariffs(
    @Query() query: TariffListQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TariffOut[]> {
    const listing = await this.tariffs.list(pageOf(query, DEFAULT_LIMIT));
    return answerListing(reply, listing, (tariff) => TariffOut.from(tariff));
  }

  @Get(':id')
  @Operation({
    access: 'public',
    summary: 'One tariff',
    answer: TariffOut,
    errors: ['tariff_not_found', 'validation_error'],
  })
  async getTariff(@PathId() id: number): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.get(id));
  }

  @Put(':id')
  @Operation({
    access: 'admin',
    summary: 'Change a tariff',
    answer: TariffOut,
    errors: ['tariff_not_found', 'tariff_already_exists', 'store_product_taken', 'validation_error'],
  })
  async updateTariff(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Body() body: TariffChangeIn,
  ): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.update(actorOf(caller), id, TariffChangeIn.toChange(body)));
  }

  @Put(':id/store_products')
  @Operation({
    access: 'admin',
    summary: 'Say under which names the stores sell a tariff',
    description:
      'Replaces all of them. What was bought under a name that belonged to no tariff is granted within some seconds.',
    answer: TariffOut,
    errors: ['tariff_not_found', 'store_product_taken', 'validation_error'],
  })
  async setStoreProducts(
    @Caller() caller: Principal,
    @PathId() id: number,
    @Body() body: StoreProductsIn,
  ): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.update(actorOf(caller), id, StoreProductsIn.toChange(body)));
  }

  @Delete(':id')
  @Operation({
    access: 'admin',
    summary: 'Delete a tariff that nobody has',
    answer: TariffDeletedOut,
    errors: ['tariff_not_found', 'tariff_in_use', 'validation_error'],
  })
  async deleteTariff(@Caller() caller: Principal, @PathId() id: number): Promise<TariffDeletedOut> {
    await this.tariffs.delete(actorOf(caller), id);
    return { msg: 'tariff deleted', tariff_id: id };
  }
}
