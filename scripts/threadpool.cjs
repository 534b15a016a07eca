// Loaded before anything uses libuv's pool (`node --require`): bcrypt must leave threads free for files and name look-ups.
process.env.UV_THREADPOOL_SIZE ||= '8';
