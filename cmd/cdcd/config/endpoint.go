package config

// catalogEndpoint settles who may do what at the catalog's listener. It hands out where the
// tables are, and where it is writable it takes commits: beyond this machine, or with more
// than reading, only for those who show a token. No key of it may be without effect.
func (s *settler) catalogEndpoint() {
	e := &s.cfg.CatalogEndpoint
	const section = "catalog_endpoint."
	s.canon(section+"tls.cert", &e.TLS.Cert, canonPath)
	s.canon(section+"tls.key", &e.TLS.Key, canonPath)
	if (e.TLS.Cert == "") != (e.TLS.Key == "") {
		s.report(section+"tls", "cert and key need each other")
	}
	if e.Listen == "" {
		for _, k := range []struct {
			key string
			set bool
		}{{"writable", e.Writable}, {"token", e.Token != ""}, {"tls", e.TLS.Cert != ""}} {
			if k.set {
				s.report(section+k.key, "has no effect, for catalog_endpoint.listen is off")
			}
		}
		return
	}
	if e.Writable && s.cfg.Catalog.Type == CatalogREST {
		s.report(section+"writable", "does not go with catalog.type rest: let other programs commit to that catalog itself")
	}
	if _, err := canonListen(e.Listen); err != nil {
		return // it is reported
	}
	host, _, ok := splitPort(e.Listen)
	outside := ok && !isLoopback(host)
	if e.NeedsToken() && !s.present(section+"token") {
		why := "a writable catalog needs one"
		if outside {
			why = "a catalog that other machines reach needs one"
		}
		s.report(section+"token", "the key is required: %s", why)
	}
	if outside && e.TLS.Cert == "" {
		s.warnOf(section+"listen", "what readers ask of the catalog, their token included, travels unencrypted; set catalog_endpoint.tls")
	}
}
