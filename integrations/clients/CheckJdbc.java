import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import javax.net.SocketFactory;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;

/** What docs/guide/clients.md says of JDBC, on the worked shop. Connects as psql does. */
public class CheckJdbc {
    /** A value of each of the seven types. */
    static final Map<String, String> VALUES = Map.of(
        "purchase_history", "purchase_history(date '2026-01-01', 100.5)",
        "engagement_history", "engagement_history('review', '2026-01-01')",
        "contact_history", "contact_history('email', date '2026-01-01', 's', 't', 'g')",
        "membership_history", "membership_history('paused', '2026-01-01')",
        "segment_policy", "preset_policy('replenishment')",
        "scenario", "preset_scenario('vip_advocacy')",
        "purchase_model", "'{\"model\": \"bgnbd\", \"purchases\": {\"r\": 0.2, \"alpha\": 30, \"a\": 0.7, \"b\": 2.4}}'::purchase_model");

    static void check(boolean holds, Object found) {
        if (!holds) {
            throw new AssertionError(found);
        }
    }

    static void checkTypes(Connection connection) throws SQLException {
        for (Map.Entry<String, String> one : VALUES.entrySet()) {
            String text = null;
            // Often enough for the driver to prepare the statement in the server, and to ask for binary results where it can.
            try (PreparedStatement statement = connection.prepareStatement("SELECT " + one.getValue())) {
                for (int i = 0; i < 10; i++) {
                    ResultSet row = statement.executeQuery();
                    row.next();
                    PGobject value = (PGobject) row.getObject(1);
                    text = row.getString(1);
                    check(value.getType().equals(one.getKey()) && value.getValue().equals(text), value.getType() + ": " + text);
                    check(text.startsWith("{") || text.startsWith("["), text);
                }
            }
            // There and back.
            try (PreparedStatement statement = connection.prepareStatement("SELECT " + one.getValue() + " = ?")) {
                statement.setObject(1, text, Types.OTHER);
                ResultSet row = statement.executeQuery();
                row.next();
                check(row.getBoolean(1), one.getKey());
            }
        }
    }

    static void checkViews(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            ResultSet row = statement.executeQuery("SELECT c.orders, c.monetary, c.first_purchase_on, c.lifecycle_state, p.refreshed_at, s"
                + " FROM shop_customers AS c CROSS JOIN shop_status AS p CROSS JOIN segment_customer(NULL, p.as_of) AS s"
                + " WHERE c.orders > 0 LIMIT 1");
            row.next();
            check(row.getObject(1) instanceof Long, row.getObject(1).getClass());
            check(row.getObject(2) instanceof BigDecimal, row.getObject(2).getClass());
            check(row.getObject(3) instanceof Date && row.getObject(3, LocalDate.class) != null, row.getObject(3).getClass());
            check(row.getObject(4) instanceof String, row.getObject(4).getClass());
            check(row.getObject(5, OffsetDateTime.class) != null, row.getObject(5).getClass());
            check(row.getObject(6) instanceof PGobject, row.getObject(6).getClass());
        }

        // What a tool lists that asks the driver.
        DatabaseMetaData about = connection.getMetaData();
        Map<String, Set<String>> listed = new TreeMap<>();
        ResultSet tables = about.getTables(null, "public", "shop\\_%", null);
        while (tables.next()) {
            if (Set.of("TABLE", "VIEW", "MATERIALIZED VIEW").contains(tables.getString("TABLE_TYPE"))) {
                listed.computeIfAbsent(tables.getString("TABLE_TYPE"), type -> new TreeSet<>()).add(tables.getString("TABLE_NAME"));
                check(tables.getString("REMARKS") != null, tables.getString("TABLE_NAME"));
            }
        }
        check(listed.get("MATERIALIZED VIEW").contains("shop_customers") && listed.get("VIEW").contains("shop_customers_today"), listed);
        ResultSet columns = about.getColumns(null, "public", "shop\\_customers", null);
        int count = 0;
        for (; columns.next(); count++) {
            check(columns.getString("REMARKS") != null, columns.getString("COLUMN_NAME"));
        }
        check(count > 40, count);
    }

    static void checkErrors(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT effective_policy(?)")) {
            statement.setObject(1, "{\"lifecycle\": {\"dormant_days\": 1}}", Types.OTHER);
            statement.executeQuery();
            check(false, "a policy with an unknown key was taken");
        } catch (PSQLException error) {
            check(error.getSQLState().equals("22P02"), error);
            check(error.getServerErrorMessage().getMessage().contains("lifecycle.dormant_days"), error);
            check(error.getServerErrorMessage().getHint() != null, error);
        }
    }

    public static void main(String[] arguments) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv().getOrDefault("PGUSER", System.getProperty("user.name")));
        properties.setProperty("socketFactory", UnixSockets.class.getName());
        String url = "jdbc:postgresql://localhost/" + System.getenv("PGDATABASE");
        try (Connection connection = DriverManager.getConnection(url, properties)) {
            checkTypes(connection);
            checkViews(connection);
            checkErrors(connection);
            System.out.println("JDBC: version " + connection.getMetaData().getDriverVersion());
        }
    }

    /** The driver knows TCP only, and the PostgreSQL of the tests listens on a socket in its folder. */
    public static class UnixSockets extends SocketFactory {
        @Override
        public Socket createSocket() {
            return new Socket() {
                private SocketChannel channel;

                @Override
                public void connect(SocketAddress ignored, int timeout) throws IOException {
                    String port = System.getenv().getOrDefault("PGPORT", "5432");
                    channel = SocketChannel.open(UnixDomainSocketAddress.of(System.getenv("PGHOST") + "/.s.PGSQL." + port));
                }

                @Override
                public InputStream getInputStream() {
                    return Channels.newInputStream(channel);
                }

                @Override
                public OutputStream getOutputStream() {
                    return Channels.newOutputStream(channel);
                }

                @Override
                public void close() throws IOException {
                    channel.close();
                }
            };
        }

        @Override
        public Socket createSocket(String host, int port) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(String host, int port, InetAddress local, int localPort) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(InetAddress host, int port) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) {
            throw new UnsupportedOperationException();
        }
    }
}
