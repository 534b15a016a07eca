import { Controller, Get, Headers, HttpStatus, Res } from '@nestjs/common';
import { ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { DatabaseHealth, Settings } from '#platform';
import { Operation } from '../http/operation.decorator.js';
import { Shutdown } from '../http/shutdown.js';
import { ShownChoice, ShownText } from '../http/shown.decorator.js';

export class RunningOut {
  @ShownText({ example: 'VPN API is running' })
  msg: string;
}

export class HealthOut {
  @ShownChoice('HealthStatus', ['ok', 'unavailable'])
  status: string;

  @ApiProperty({
    type: 'array',
    items: { type: 'string' },
    description: 'The parts that fail: database, migrations, shutting_down',
    example: [],
  })
  failing: string[];
}

const OK: HealthOut = { status: 'ok', failing: [] };

@ApiTags('operations')
@Controller()
export class HealthController {
  constructor(
    private readonly database: DatabaseHealth,
    private readonly shutdown: Shutdown,
    private readonly settings: Settings,
  ) {}

  @Get()
  @Operation({
    access: 'public',
    summary: 'Whether this is the right place',
    description: 'A browser is led to the documentation, where that is served.',
    answer: RunningOut,
    needsDatabase: false,
  })
  getRoot(@Headers('accept') accept: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): RunningOut {
    if (this.settings.http.docs && accept?.includes('text/html') === true) {
      void reply.status(HttpStatus.FOUND).header('location', '/docs');
    }
    return { msg: 'VPN API is running' };
  }

  @Get('health/live')
  @Operation({ access: 'public', summary: 'Whether the process is up', answer: HealthOut, needsDatabase: false })
  getLiveness(): HealthOut {
    return OK;
  }

  @Get('health/ready')
  @Operation({
    access: 'public',
    summary: 'Whether it can serve: database reachable and taking writes, migrations applied',
    answer: HealthOut,
    needsDatabase: false,
  })
  @ApiResponse({ status: 503, description: 'Not now', type: HealthOut })
  async getReadiness(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthOut> {
    const failing = await this.findFailing();
    if (failing.length === 0) return OK;
    void reply.status(HttpStatus.SERVICE_UNAVAILABLE);
    return { status: 'unavailable', failing };
  }

  private async findFailing(): Promise<string[]> {
    if (this.shutdown.hasBegun) return ['shutting_down'];
    const health = await this.database.check();
    if (health === 'ok') return [];
    return [health === 'migrations_missing' ? 'migrations' : 'database'];
  }
}
