import { Body, Controller, Put } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Accounts, actorOf, type Principal } from '#auth';
import { UserOut } from '../auth/auth.dto.js';
import { Caller } from '../http/access.guard.js';
import { PathId } from '../http/given.decorator.js';
import { Operation } from '../http/operation.decorator.js';
import { UserStatusIn } from './admin-users.dto.js';

@ApiTags('admin')
@Controller('admin/users')
export class AdminUsersController {
  constructor(private readonly accounts: Accounts) {}

  @Put(':id/status')
  @Operation({
    access: 'admin',
    summary: 'Block or unblock a user',
    description: 'A blocked user is out on his next request, and his devices are suspended.',
    answer: UserOut,
    errors: ['user_not_found', 'validation_error'],
  })
  async setUserStatus(@Caller() caller: Principal, @PathId() id: number, @Body() body: UserStatusIn): Promise<UserOut> {
    return UserOut.from(await this.accounts.setStatus(actorOf(caller), id, body.status));
  }
}
