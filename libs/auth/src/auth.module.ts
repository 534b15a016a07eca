import { Module } from '@nestjs/common';
import { JwtModule } from '@nestjs/jwt';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Settings } from '#platform';
import { AccessChanges } from './access-changes.js';
import { AccessTokens, signingKey } from './access-tokens.service.js';
import { Accounts } from './accounts.service.js';
import { Passwords } from './passwords.service.js';
import { Promotion } from './promotion.service.js';
import { SessionEntity } from './session.entity.js';
import { SessionsRepository } from './sessions.repository.js';
import { UserEntity } from './user.entity.js';
import { UsersRepository } from './users.repository.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([UserEntity, SessionEntity]),
    JwtModule.registerAsync({
      inject: [Settings],
      useFactory: ({ auth }: Settings) => ({ secret: signingKey(auth.signingKeys[0]?.secret ?? '') }),
    }),
  ],
  providers: [AccessChanges, AccessTokens, Accounts, Passwords, Promotion, SessionsRepository, UsersRepository],
  exports: [AccessChanges, AccessTokens, Accounts, Promotion, UsersRepository],
})
export class AuthModule {}
