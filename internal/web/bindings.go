package web

import "tandem/internal/config"

// Binding is an address of a site for one host name.
type Binding struct {
	Host    string // "*.example.com"; empty: any
	Address string // "192.0.2.11:8080"; ":443" is every address of the member
	TLS     bool
}

// Bindings are those of a site file whose placeholders, but for those of secrets, are filled in. It loads nothing.
func Bindings(file, text string) ([]Binding, config.Faults) {
	p, faults := compile(file, text, nil)
	if faults != nil {
		return nil, faults
	}
	var all []Binding
	for _, b := range p.blocks {
		for _, at := range b.bindings {
			all = append(all, Binding{at.host, at.address, at.tls})
		}
	}
	return all, nil
}
