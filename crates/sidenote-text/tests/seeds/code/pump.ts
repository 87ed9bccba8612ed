export interface Part { price?: number }
export class Pump<T extends Part> { constructor(private parts: T[]) {} get sum() { return this.parts.reduce((a, p) => a + (p.price ?? 0), 0); } }
const f = async (x: string) => `${x}`;
