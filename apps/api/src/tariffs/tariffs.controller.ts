import { Body, Controller, Delete, Get, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { Tariffs } from '#tariffs';
import { PathId } from '../http/given.decorator.js';
import { answerListing, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { TariffChangeIn, TariffDeletedOut, TariffIn, TariffListQuery, TariffOut } from './tariff.dto.js';

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
  async createTariff(@Body() body: TariffIn): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.create(TariffIn.toTariff(body)));
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
  async updateTariff(@PathId() id: number, @Body() body: TariffChangeIn): Promise<TariffOut> {
    return TariffOut.from(await this.tariffs.update(id, TariffChangeIn.toChange(body)));
  }

  @Delete(':id')
  @Operation({
    access: 'admin',
    summary: 'Delete a tariff that nobody has',
    answer: TariffDeletedOut,
    errors: ['tariff_not_found', 'tariff_in_use', 'validation_error'],
  })
  async deleteTariff(@PathId() id: number): Promise<TariffDeletedOut> {
    await this.tariffs.delete(id);
    return { msg: 'tariff deleted', tariff_id: id };
  }
}
