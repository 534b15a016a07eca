import { Check, Column, Entity, Generated, Index, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type User, type UserStatus } from './user.js';

@Entity('users')
@Unique('users_email_key', ['email'])
@Unique('users_google_id_key', ['googleId'])
@Unique('users_app_account_token_key', ['appAccountToken'])
@Index('users_administrators', ['id'], { where: 'is_admin' })
@Check('users_email_normalised', `email = lower(email)`)
export class UserEntity implements User {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'users_pkey' })
  id: number;

  @Column('varchar', { length: 254 })
  email: string;

  /** Null for who signs in by other means: no password matches it. Never selected but to check a password. */
  @Column('text', { name: 'hashed_password', nullable: true, select: false })
  hashedPassword: string | null;

  @Column('varchar', { name: 'google_id', length: 255, nullable: true })
  googleId: string | null;

  @Column('enum', { enum: ['pending', 'active', 'blocked'], enumName: 'userstatus' })
  status: UserStatus;

  @Column('boolean', { name: 'is_admin', default: false })
  isAdmin: boolean;

  @Column('boolean', { name: 'is_verified', default: false })
  isVerified: boolean;

  @Column('uuid', { name: 'app_account_token' })
  @Generated('uuid')
  appAccountToken: string;

  @Column('varchar', { length: 2, default: 'en' })
  locale: string;

  @Column('boolean', { name: 'refund_data_consent', default: false })
  refundDataConsent: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
