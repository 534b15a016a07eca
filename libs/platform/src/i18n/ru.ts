import { type ErrorCode } from '#kernel';

/** То же по-русски; the type makes sure that no code is left without a text. */
export const ru: Readonly<Record<ErrorCode, string>> = {
  malformed_json: 'Тело запроса не является корректным JSON',
  malformed_request: 'Запрос составлен неверно',
  body_too_large: 'Запрос слишком большой',
  unsupported_media_type: 'Тело запроса должно быть в формате application/json',
  validation_error: 'Некоторые поля заполнены неверно',
  route_not_found: 'По этому адресу ничего нет',
  idempotency_key_in_use: 'Этот запрос уже выполняется',
  idempotency_key_reused: 'Этот Idempotency-Key уже использован с другим запросом',
  database_unavailable: 'Сервис временно недоступен. Попробуйте чуть позже.',
  overloaded: 'Сервис перегружен. Попробуйте чуть позже.',
  internal_error: 'Что-то пошло не так на нашей стороне. Если это повторится, сообщите поддержке номер запроса.',

  not_authenticated: 'Войдите в аккаунт',
  invalid_token: 'Сеанс завершён. Войдите снова.',
  invalid_credentials: 'Неверный email или пароль',
  user_not_active: 'Этот аккаунт не активен',
  not_allowed: 'Это действие вам недоступно',
  admin_required: 'Это доступно только администраторам',
  promotion_refused: 'Назначать администраторов могут только администраторы',

  email_already_registered: 'Этот email уже зарегистрирован',
  password_required: 'Введите пароль',
  password_too_short: 'Пароль должен быть не короче 8 символов',
  password_too_common: 'Этот пароль слишком распространён. Придумайте пароль от 8 символов, который трудно угадать.',
  user_not_found: 'Такого пользователя нет',

  tariff_not_found: 'Такого тарифа нет',
  tariff_already_exists: 'Тариф с таким названием уже есть',
  tariff_in_use: 'Этот тариф используется, удалить его нельзя',
  store_product_taken: 'Этот товар магазина уже относится к другому тарифу',
  tariff_already_assigned: 'У пользователя уже есть этот тариф',
  payment_required: 'Этот тариф нужно оплатить',
  already_has_active_subscription: 'У вас уже есть активная подписка',
  free_tariff_already_used: 'Вы уже пользовались этим бесплатным тарифом',
  no_active_subscription: 'У вас нет активной подписки',

  payment_not_found: 'Такого платежа нет',
  payment_already_recorded: 'Этот платёж уже записан',
  payment_not_editable: 'Этот платёж уже нельзя изменить',
  payment_status_not_allowed: 'Платёж не может получить такой статус',

  peer_not_found: 'Такого устройства нет',
  no_peer_for_user: 'Вы ещё не добавили устройство',
  device_limit_reached: 'Лимит устройств на вашем тарифе: {limit}. Удалите одно, чтобы добавить новое.',
  public_key_taken: 'Этот ключ уже используется',
  address_taken: 'Этот адрес уже используется',
  no_server_available: 'Сейчас нет доступных серверов. Попробуйте позже.',
  address_pool_exhausted: 'Сервер заполнен. Попробуйте позже.',
};
