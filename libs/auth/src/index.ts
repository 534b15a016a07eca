/**
 * auth: who somebody is, and whether he may do anything at all. Users, sessions, passwords, access tokens, the first
 * administrator. It promises that a blocked user, or an ended session, is out on the next request. It must never know what a
 * user has bought or which devices he has: those who do are told through `AccessChanges`.
 */
export { actorOf } from './actor.js';
export { AccessChanges, type AccessObserver } from './access-changes.js';
export { ACCESS_TOKEN_RULES, type AccessClaims, type AccessToken, AccessTokens } from './access-tokens.service.js';
export { Accounts, type Preferences } from './accounts.service.js';
export { AuthModule } from './auth.module.js';
export { normaliseEmail } from './email.js';
export { Promotion } from './promotion.service.js';
export { type Principal, type User, type UserStatus } from './user.js';
export { UsersRepository as Users } from './users.repository.js';
