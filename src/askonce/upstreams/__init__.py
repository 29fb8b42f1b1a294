"""Who answers: adapters that turn a provider's protocol into the port `ports.Upstream`."""
