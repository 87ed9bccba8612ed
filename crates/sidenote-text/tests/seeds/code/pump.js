export function pump(parts) { return parts.map(p => p.price).filter(Boolean); }
class A extends B { static #x = 1; get y() { return /re/g.test("s"); } }
