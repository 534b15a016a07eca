import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { Traffic } from '#peers';
import { answerListing, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { AllTrafficQuery, TrafficDayOut } from '../http/traffic.dto.js';

@ApiTags('admin')
@Controller('admin/traffic')
export class AdminTrafficController {
  constructor(private readonly traffic: Traffic) {}

  @Get()
  @Operation({
    access: 'admin',
    summary: 'What devices have moved, by day',
    description:
      'Of everybody or one user, on all servers or one. Days are UTC, those without traffic left out; the last 30, unless others are asked for. At most 366.',
    answer: [TrafficDayOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listTraffic(
    @Query() query: AllTrafficQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TrafficDayOut[]> {
    const filter = {
      ...AllTrafficQuery.toDays(query),
      userId: query.user_id ?? undefined,
      serverId: query.server_id ?? undefined,
    };
    return answerListing(reply, await this.traffic.days(filter, pageOf(query)), (day) => TrafficDayOut.from(day));
  }
}
