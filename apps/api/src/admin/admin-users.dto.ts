import { type UserStatus } from '#auth';
import { GivenChoice } from '../http/given.decorator.js';

export class UserStatusIn {
  @GivenChoice('UserStanding', ['active', 'blocked'])
  status: UserStatus;
}
