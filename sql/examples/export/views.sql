-- The lists for whoever sends: a mail house, a call center, a mailer, an ad platform. They stand on
--   public.customers   (customer_id, email, phone, postal_address, line_id)
--   public.shop_facts  of a segmentation that knows addresses, consents and the log of contacts
-- so that nobody is on a list who is held out, has to be left in peace, or did not agree to the channel.

CREATE TABLE public.scenarios (name text PRIMARY KEY, scenario rfm.scenario NOT NULL);
INSERT INTO public.scenarios SELECT name, rfm.preset_scenario(name) FROM rfm.scenario_presets();

-- What is due on the day of the last refresh: one row a customer, because one scenario goes on and the others wait.
CREATE VIEW public.steps_due AS
SELECT f.customer_id, f.channels, d.scenario, d.step, d.message_key, d.channel, d.due_on
FROM (SELECT array_agg(scenario ORDER BY name) AS all_of_them FROM public.scenarios) AS a
CROSS JOIN public.shop_facts AS f
CROSS JOIN LATERAL rfm.due_steps(all_of_them, f.history, f.as_of, f.policy, f.engagement, f.membership, f.channels, f.contacts,
                                 f.memberships) AS d
WHERE d.due;

-- To whom to send what over which channel. The address is as a mailer takes it; that of a letter is its postal code, and the rest
-- is postal_address as the customer wrote it.
CREATE VIEW public.contact_list AS
SELECT s.customer_id, s.scenario, s.step, s.message_key, s.due_on, s.channel,
       CASE s.channel WHEN 'email' THEN rfm.normalized_email(c.email)
                      WHEN 'line' THEN c.line_id
                      WHEN 'postal' THEN rfm.normalized_postal_code(c.postal_address, 'JP')
                      ELSE rfm.normalized_phone(c.phone, 'JP') END AS address,
       CASE s.channel WHEN 'postal' THEN c.postal_address END AS postal_address
FROM public.steps_due AS s
JOIN public.customers AS c USING (customer_id);

-- The same customers for an ad platform, which finds its own users by digests and learns no address: SHA-256 of the e-mail in
-- small letters and of the phone number as in E.164, as 64 hexadecimal digits. Only what the customer may be reached by.
CREATE VIEW public.audience AS
SELECT customer_id, scenario, step,
       encode(sha256(convert_to(lower(email COLLATE "C"), 'UTF8')), 'hex') AS email_sha256,
       encode(sha256(convert_to(phone, 'UTF8')), 'hex')                    AS phone_sha256
FROM (
    SELECT s.customer_id, s.scenario, s.step,
           CASE WHEN 'email' = ANY (s.channels) THEN rfm.normalized_email(c.email) END AS email,
           CASE WHEN s.channels && '{sms,phone}' THEN rfm.normalized_phone(c.phone, 'JP') END AS phone
    FROM public.steps_due AS s
    JOIN public.customers AS c USING (customer_id)
) AS a
WHERE email IS NOT NULL OR phone IS NOT NULL;
