"""AuthZEN 1.0 (OpenID Authorization API), and the obligations profile."""
