package pump

// Price is in cents.
type Price struct{ Cents int }

func (p *Price) Euro() (float64, error) { if p == nil { return 0, nil }; return float64(p.Cents) / 100, nil }
