import { describe, expect, it } from '@jest/globals';
import { ordersBefore } from './google-answer.rules.js';

describe('the orders before an order', () => {
  it('are the renewals of lower numbers, the newest first, and the first order', () => {
    expect(ordersBefore('GPA.1-2..2')).toEqual(['GPA.1-2..1', 'GPA.1-2..0', 'GPA.1-2']);
    expect(ordersBefore('GPA.1-2..0')).toEqual(['GPA.1-2']);
  });

  it.each(['GPA.1-2', '', '..1', 'GPA.1-2..', 'GPA.1-2..x', 'GPA.1-2..99999'])('are none of %j', (orderId) => {
    expect(ordersBefore(orderId)).toEqual([]);
  });
});
