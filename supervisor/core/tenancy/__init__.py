"""How does a tenant's text come to mean his own things only?

By construction, after policy has let it through: `names` puts every tag, pattern, alias, parser, variable and offset
file into the tenant's own name space; `delivery` gives a tenant its copy of platform records, and keeps the records of
tenants from the platform's outputs.
"""

from supervisor.core.tenancy.delivery import Outlets, deliver
from supervisor.core.tenancy.names import Names, private_sections, secret_name, secret_of
from supervisor.core.tenancy.patterns import covers, overlap

__all__ = [
    "Names",
    "Outlets",
    "covers",
    "deliver",
    "overlap",
    "private_sections",
    "secret_name",
    "secret_of",
]
