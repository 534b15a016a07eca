import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type FastifyReply } from 'fastify';
import { Audit } from '#platform';
import { answerListing, pageOf } from '../http/listing.js';
import { Operation } from '../http/operation.decorator.js';
import { AuditEntryOut, AuditQuery } from './admin-audit.dto.js';

@ApiTags('admin')
@Controller('admin/audit')
export class AdminAuditController {
  constructor(private readonly audit: Audit) {}

  @Get()
  @Operation({
    access: 'admin',
    summary: 'Who did what, oldest first',
    description: 'Acts of administrators and operators, kept for a year.',
    answer: [AuditEntryOut],
    paged: true,
    errors: ['validation_error'],
  })
  async listAudit(
    @Query() query: AuditQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<AuditEntryOut[]> {
    const listing = await this.audit.list(AuditQuery.toFilter(query), pageOf(query));
    return answerListing(reply, listing, (entry) => AuditEntryOut.from(entry));
  }
}
