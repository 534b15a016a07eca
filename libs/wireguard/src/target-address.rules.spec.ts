import { describe, expect, it } from '@jest/globals';
import ipaddr from 'ipaddr.js';
import { isAllowedTarget, parseTargetUrl } from './target-address.rules.js';

const isAllowed = (address: string, allowPrivateTargets: boolean): boolean =>
  isAllowedTarget(ipaddr.process(address), allowPrivateTargets);

describe('the address of an HTTP interface', () => {
  it.each([
    'http://vpn.example.com',
    'https://vpn.example.com:51821/',
    'http://[2001:db8::1]:51821',
    'http://a/panel/',
  ])('may be %s', (text) => {
    expect(parseTargetUrl(text)?.href).toContain(text);
  });

  it.each([
    '',
    'vpn.example.com',
    'vpn.example.com:51821',
    'ftp://vpn.example.com',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    'http://admin@vpn.example.com',
    'http://admin:secret@vpn.example.com',
    'http://:secret@vpn.example.com',
    'http://vpn.example.com?next=x',
    'http://vpn.example.com#x',
    'http://a b',
  ])('is not %p', (text) => {
    expect(parseTargetUrl(text)).toBeUndefined();
  });

  it.each(['http://0x7f.1', 'http://2130706433', 'http://0177.0.0.1', 'http://127.1'])(
    'is read as browsers do, so that no spelling hides the loopback: %s',
    (text) => {
      expect(parseTargetUrl(text)?.hostname).toBe('127.0.0.1');
    },
  );
});

describe('a target', () => {
  it.each(['93.184.216.34', '8.8.8.8', '172.32.0.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])(
    'may be a public address: %s',
    (address) => {
      expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([true, true]);
    },
  );

  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '10.0.0.5',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '::1',
    'fd12::1',
    '::ffff:127.0.0.1',
  ])('is a private or loopback address only where that is allowed: %s', (address) => {
    expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([false, true]);
  });

  it.each([
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '168.63.129.16',
    '100.100.100.200',
    'fd00:ec2::254',
    '169.254.1.1',
    'fe80::1',
    '224.0.0.1',
    'ff02::1',
    '0.0.0.0',
    '::',
    '255.255.255.255',
    '240.0.0.1',
    '192.0.0.192',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::1',
    '::ffff:0:127.0.0.1',
  ])('is never link-local, multicast, reserved, translated or where a cloud keeps credentials: %s', (address) => {
    expect([isAllowed(address, false), isAllowed(address, true)]).toEqual([false, false]);
  });
});
