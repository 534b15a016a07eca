import { type HTTPMethods } from 'fastify';

interface Route {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Which methods each path answers, to tell a wrong method (405) from a wrong path (404). Asked only about what no route took. */
export class RouteTable {
  private readonly routes = new Map<string, Route>();

  add(methods: HTTPMethods | HTTPMethods[], url: string): void {
    if (url.includes('*')) return; // takes what nothing else does, and says nothing of any one path
    const path = withoutSlash(url);
    const route = this.routes.get(path) ?? { pattern: patternOf(path), methods: new Set() };
    this.routes.set(path, route);
    for (const method of [methods].flat()) route.methods.add(method);
  }

  /** In alphabetical order; none when there is nothing at the path of this address. */
  methodsOf(url: string): readonly string[] {
    const path = withoutSlash(url.split('?', 1)[0] ?? '');
    const fitting = [...this.routes.values()].filter(({ pattern }) => pattern.test(path));
    return [...new Set(fitting.flatMap(({ methods }) => [...methods]))].sort();
  }
}

/** `/tariffs/:id`: a part that begins with a colon is any one part. */
function patternOf(path: string): RegExp {
  const parts = path.split('/').map((part) => {
    return part.startsWith(':') ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  });
  return new RegExp(`^${parts.join('/')}$`);
}

function withoutSlash(path: string): string {
  return path.replace(/\/$/, '');
}
