import { Check, Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';
import { type Money } from '#kernel';

@Entity('tariffs')
@Unique('tariffs_name_key', ['name'])
@Check('tariffs_duration_days', `duration_days >= 0`)
@Check('tariffs_price', `price >= 0`)
@Check('tariffs_device_limit', `device_limit > 0`)
@Check('tariffs_traffic_limit_gb', `traffic_limit_gb > 0`)
export class TariffEntity {
  @PrimaryGeneratedColumn('identity', { generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'tariffs_pkey' })
  id: number;

  @Column('varchar', { length: 100 })
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('integer', { name: 'duration_days', default: 30 })
  durationDays: number;

  @Column('numeric', { precision: 10, scale: 2 })
  price: Money;

  @Column('varchar', { length: 8, default: 'USD' })
  currency: string;

  @Column('integer', { name: 'device_limit', nullable: true })
  deviceLimit: number | null;

  @Column('integer', { name: 'traffic_limit_gb', nullable: true })
  trafficLimitGb: number | null;

  @Column('integer', { default: 0 })
  rank: number;

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
