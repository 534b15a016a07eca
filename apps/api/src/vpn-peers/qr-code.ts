import { type FastifyReply } from 'fastify';
import qrcode from 'qrcode';
import { DomainError } from '#kernel';

/** What a code can hold in bytes (ISO/IEC 18004, version 40, level L). Level L is what WireGuard's own `qrencode` example uses. */
const MAX_BYTES = 2953;
const PNG = 'image/png';
const SVG = 'image/svg+xml';

/** What the document says of an answer that is a picture. */
export const QR_CODE = {
  content: { [PNG]: { schema: { type: 'string', format: 'binary' } }, [SVG]: { schema: { type: 'string' } } },
} as const;

/** A text as a picture to scan: PNG, or SVG for a caller who would rather have that. @throws DomainError config_too_long_for_qr */
export async function answerQrCode(reply: FastifyReply, text: string): Promise<Buffer | string> {
  const fitting = fit(text);
  const isSvg = prefersSvg(reply.request.headers.accept);
  const picture = isSvg
    ? await qrcode.toString(fitting, { type: 'svg', errorCorrectionLevel: 'L' })
    : await qrcode.toBuffer(fitting, { type: 'png', errorCorrectionLevel: 'L' });
  void reply.header('vary', 'Accept').type(isSvg ? SVG : PNG);
  return picture;
}

/** The text, or, where it is too long, the same without the blanks in its lists: a long list of networks has hundreds. */
function fit(text: string): string {
  if (Buffer.byteLength(text) <= MAX_BYTES) return text;
  const shortened = text.replaceAll(', ', ',');
  if (Buffer.byteLength(shortened) > MAX_BYTES) throw new DomainError('config_too_long_for_qr');
  return shortened;
}

function prefersSvg(accept = '*/*'): boolean {
  return qualityOf(SVG, accept) > qualityOf(PNG, accept);
}

/** How much a caller wants a media type (RFC 9110 12.5.1): what names it exactly counts before `image/*` before all. */
function qualityOf(type: string, accept: string): number {
  const wishes = new Map(
    accept.split(',').map((wish) => {
      const [range = '', ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase());
      const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return [range, quality === undefined ? 1 : Number(quality)];
    }),
  );
  return wishes.get(type) ?? wishes.get('image/*') ?? wishes.get('*/*') ?? 0;
}
