"""How long the full trip takes, stage by stage, beside a floor without any rules."""
