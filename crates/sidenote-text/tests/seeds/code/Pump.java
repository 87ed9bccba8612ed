package pump;
/** A pump. */
public class Pump<T> extends Part { @Override public int price(T net) throws Exception { return net == null ? 0 : 1; } interface Seal { boolean tight(); } }
